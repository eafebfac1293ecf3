"""Django, with its own ORM and session cookie: `hubbub run django_app:app`."""

import os
from types import SimpleNamespace

from django.core.asgi import get_asgi_application

from hubbub import Domain, Gateway, Identity, ServerEvent, event, notify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
django = get_asgi_application()

from django.contrib import auth
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.db import models, transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path


class Note(models.Model):
    team, text = models.ForeignKey(Group, models.CASCADE), models.TextField()


@event("server.notes.added", topics={"team": "team_id"})
class NoteAdded(ServerEvent, frozen=True):
    team_id: str


class Notes(Domain):
    events = (NoteAdded,)


async def authenticate(handshake):
    user = await auth.aget_user(SimpleNamespace(session=SessionStore(handshake.cookie("sessionid"))))
    return Identity(user.username) if user.is_authenticated else None


async def authorize(ctx, topics):
    teams = {team.name async for team in Group.objects.filter(user__username=ctx.user_id)}
    return [topic for topic in topics if topic.id in teams]


def sign_in(request):
    user = auth.authenticate(request, username=request.POST["user"], password=request.POST["password"])
    if user is not None:
        auth.login(request, user)
    return HttpResponse(status=401 if user is None else 200)


def add_note(request, team_id):
    team = get_object_or_404(Group, name=team_id, user=request.user.pk)  # members only
    Note.objects.create(team=team, text=request.POST["text"])  # store it first: REST stays authoritative
    transaction.on_commit(lambda: notify(NoteAdded(team_id)))  # then notify
    return HttpResponse(status=201)


urlpatterns = [path("session", sign_in), path("teams/<team_id>/notes", add_note)]
app = Gateway(authenticate=authenticate, authorize=authorize, domains=[Notes()]).attach(django)
