"""The media: each one's base and code table, then one small module per interface; and their simulator."""
