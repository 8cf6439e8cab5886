"""Run inside bugsink: a project for events and a token to read them back, as one line of JSON."""

import json

from bsmain.models import AuthToken
from projects.models import Project
from teams.models import Team

team, _ = Team.objects.get_or_create(name="ark")
project, _ = Project.objects.get_or_create(name="ark", defaults={"team": team})
token = AuthToken.create_full_access()
print(json.dumps({"key": project.sentry_key.hex, "project": project.id, "token": token.token}))  # noqa: T201 - its answer
