"""The texts that the server renders, in English and Spanish; all others are in `frontend/src/i18n`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import HTTPConnection

COOKIE: Final = "rt-language"
DEFAULT: Final = "en"

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "login": "Log in",
        "name": "Name",
        "password": "Password",
        "login_hint": "No account? The administrator of this hub can create one: roomtone hub user add NAME",
        "token": "Token",
        "token_hint": "This dashboard has no login. Open the address with the token that it printed at its start.",
        "login_refused": "Name or password is wrong.",
        "login_often": "Too many attempts. Wait a minute.",
        "login_busy": "Too many login attempts at the moment. Try again later.",
        "login_database": "The database does not answer. Try again later.",
        "guest": "Try it",
        "guest_text": "Record a sentence, and this hub says which emotion it takes it for. The recording is not kept.",
        "guest_submit": "Begin",
        "guest_over": "This link has been used already, or its ten minutes are over. Ask for a new one.",
    },
    "es": {
        "login": "Iniciar sesión",
        "name": "Nombre",
        "password": "Contraseña",
        "login_hint": "¿Sin cuenta? El administrador de este servidor puede crearla: roomtone hub user add NOMBRE",
        "token": "Token",
        "token_hint": "Este panel no tiene inicio de sesión. Abra la dirección con el token que mostró al arrancar.",
        "login_refused": "El nombre o la contraseña no son correctos.",
        "login_often": "Demasiados intentos. Espere un minuto.",
        "login_busy": "Demasiados inicios de sesión en este momento. Inténtelo más tarde.",
        "login_database": "La base de datos no responde. Inténtelo más tarde.",
        "guest": "Pruébelo",
        "guest_text": "Grabe una frase y este servidor le dirá qué emoción le parece. La grabación no se guarda.",
        "guest_submit": "Empezar",
        "guest_over": "Este enlace ya se ha usado o han pasado sus diez minutos. Pida otro.",
    },
}


def texts(language: str) -> Mapping[str, str]:
    """Return the user-interface texts of `language` by key; those of the default language where it is unknown."""
    return TABLES.get(language, TABLES[DEFAULT])


def language_of(connection: HTTPConnection) -> str:
    """Return the language that the user chose, else the browser's first language that is supported."""
    chosen = connection.cookies.get(COOKIE, "")
    if chosen in TABLES:
        return chosen
    for preferred in connection.headers.get("accept-language", "")[:200].split(","):
        code = preferred.split(";")[0].strip().lower()[:2]
        if code in TABLES:
            return code
    return DEFAULT
