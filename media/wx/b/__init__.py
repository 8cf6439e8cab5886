"""WeChat ads in WeChat's own dialect: api.weixin.qq.com/marketing."""
