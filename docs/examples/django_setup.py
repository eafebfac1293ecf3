"""Create the tables, users and teams of django_app.py: `python django_setup.py`."""

import django_app
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection

call_command("migrate", verbosity=0)
with connection.schema_editor() as editor:
    editor.create_model(django_app.Note)  # in a project, a migration does this
for team, members in {"red": ["alice", "bob"], "blue": ["carol"]}.items():
    users = [User.objects.create_user(name, password=name) for name in members]
    Group.objects.create(name=team).user_set.set(users)
