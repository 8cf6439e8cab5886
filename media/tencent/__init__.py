"""Tencent's Marketing API v1.1 (e.qq.com), which gdt speaks and wx in its first dialect. No medium of its own."""
