"""WeChat ads (微信广告): the Marketing API's dialect here, WeChat's own one in `b`."""
