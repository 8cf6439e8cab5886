"""How gdt renews tokens."""

from media.tencent.oauth import TencentOauth

OAUTH = TencentOauth("ACCOUNT_TYPE_QQ")
