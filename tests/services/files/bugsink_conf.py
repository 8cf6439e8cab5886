"""Settings of the private bugsink; tests/services/bugsink.py says where it lives."""

import os
from pathlib import Path

from bugsink.settings.default import *  # noqa: F403 - a Django settings file extends its defaults

STATE = Path(os.environ["BUGSINK_STATE"])

SECRET_KEY = os.environ["BUGSINK_SECRET"]
TIME_ZONE = "UTC"
DATABASES["default"]["NAME"] = str(STATE / "db.sqlite3")  # noqa: F405 - from the defaults
DATABASES["snappea"]["NAME"] = str(STATE / "snappea.sqlite3")  # noqa: F405 - from the defaults
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

# Events are processed while their request waits, without a worker process.
SNAPPEA = {"TASK_ALWAYS_EAGER": True}

MANY = 1_000_000
BUGSINK = {
    "BASE_URL": os.environ["BUGSINK_URL"],
    "INGEST_STORE_BASE_DIR": str(STATE / "ingest"),
    "PHONEHOME": False,
    "SINGLE_USER": True,
    "SINGLE_TEAM": True,
    "USER_REGISTRATION": "CB_NOBODY",
    "MAX_EVENTS_PER_PROJECT_PER_5_MINUTES": MANY,
    "MAX_EVENTS_PER_PROJECT_PER_HOUR": MANY,
    "MAX_EVENTS_PER_5_MINUTES": MANY,
    "MAX_EVENTS_PER_HOUR": MANY,
}
