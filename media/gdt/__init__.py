"""Tencent ads (广点通): Marketing API v1.1."""
