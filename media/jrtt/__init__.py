"""Ocean Engine (今日头条, 巨量引擎): open API v2."""
