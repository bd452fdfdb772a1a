"""django-oauth-toolkit on a loopback port, in one file.

Argument: options as JSON, {"directory", "accessLife", "idle", "grace"}, lives in seconds. Prints one line of JSON when it
listens and ends when its stdin closes.
"""

import io
import json
import os
import socketserver
import sys
import threading
import uuid
from datetime import timedelta
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

options = json.loads(sys.argv[1])

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="loopback",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "oauth2_provider.middleware.OAuth2TokenMiddleware",
    ],
    AUTHENTICATION_BACKENDS=[
        "oauth2_provider.backends.OAuth2Backend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(options["directory"], "db.sqlite3"),
            # Without these, refreshes at the same time end in "database is locked" and an HTML page with status 500.
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"},
        }
    },
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": options["accessLife"],
        "REFRESH_TOKEN_EXPIRE_SECONDS": options["idle"],
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": options["grace"],
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "ROTATE_REFRESH_TOKEN": True,
        "SCOPES": {"read": "Read", "write": "Write"},
        "ALLOWED_REDIRECT_URI_SCHEMES": ["http"],
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    # The usual ones take most of a second for each request that brings a client's secret.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.decorators import protected_resource
from oauth2_provider.models import AccessToken, Application, RefreshToken
from oauth2_provider.settings import oauth2_settings

lock = threading.Lock()
counts = {"refreshes": 0, "refused": 0}


def grant(request):
    """A first pair without a browser."""
    application = Application.objects.get(client_id=request.GET["client"])
    user = User.objects.get(username="ann")
    expires = timezone.now() + timedelta(seconds=options["accessLife"])
    token = os.urandom(16).hex()
    access = AccessToken.objects.create(
        user=user, application=application, token=token, expires=expires, scope="read write"
    )
    refresh = RefreshToken.objects.create(
        user=user,
        application=application,
        token=os.urandom(16).hex(),
        access_token=access,
        # Without a family there is nothing that a reuse could end.
        token_family=uuid.uuid4(),
    )
    return JsonResponse({"access_token": token, "refresh_token": refresh.token})


def grace(request):
    """Changes the grace for spent refresh tokens, so that tests need not wait for its end."""
    oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS = int(request.GET["seconds"])
    return JsonResponse({})


def sign_in(request):
    login(request, User.objects.get(username="ann"), backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(status=204)


@protected_resource()
def whoami(request):
    return JsonResponse({"sub": request.resource_owner.username})


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("whoami", whoami),
    path("test/grant", grant),
    path("test/grace", grace),
    path("test/login", sign_in),
    path("test/counts", lambda request: JsonResponse(counts)),
]

call_command("migrate", verbosity=0)
user = User.objects.create_user("ann", password="ann-password")
redirects = "http://127.0.0.1/callback http://127.0.0.1/ http://127.0.0.1/done"
Application.objects.create(
    client_id="job",
    client_secret="p%2B+ :s/ecret",
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    redirect_uris=redirects,
    skip_authorization=True,
    user=user,
)
Application.objects.create(
    client_id="service",
    client_secret="p%2B+ :s/ecret",
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    user=user,
)
Application.objects.create(
    client_id="cli",
    client_type=Application.CLIENT_PUBLIC,
    authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    redirect_uris=redirects,
    skip_authorization=True,
    user=user,
)

inner = get_wsgi_application()


def counting(environ, start_response):
    """Counts refreshes by what the token endpoint answered."""
    refresh = False
    if environ["PATH_INFO"] == "/o/token/":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        refresh = b"grant_type=refresh_token" in body
        environ["wsgi.input"] = io.BytesIO(body)

    def start(status, headers, exc_info=None):
        if refresh:
            with lock:
                counts["refreshes" if status.startswith("200") else "refused"] += 1
        return start_response(status, headers, exc_info)

    return inner(environ, start)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = Server(("127.0.0.1", 0), Quiet)
server.set_app(counting)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_port}), flush=True)
sys.stdin.read()
os._exit(0)
