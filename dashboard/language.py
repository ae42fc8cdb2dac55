"""The words that the server writes itself, in English and Spanish; all others are in `web/text.js`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import HTTPConnection

COOKIE: Final = "rt-language"
DEFAULT: Final = "en"

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "login": "Log in",
        "logout": "Log out",
        "name": "Name",
        "password": "Password",
        "login_hint": "No account? Whoever keeps this hub makes one: roomtone hub user add NAME",
        "login_refused": "Name or password is wrong.",
        "login_often": "Too many attempts. Wait a minute.",
        "login_busy": "Too many people log in just now. Try again in a moment.",
        "login_database": "The database does not answer just now. Try again in a moment.",
        "skip": "Skip to the content",
        "home": "Roomtone, to the start",
        "pages": "Pages",
        "Rooms": "Rooms",
        "Fleet": "Fleet",
        "Alerts": "Alerts",
        "Models": "Models",
        "Try it": "Try it",
        "Room": "Room",
        "language": "Español",
        "language_code": "es",
        "theme": "Dark or light",
    },
    "es": {
        "login": "Entrar",
        "logout": "Salir",
        "name": "Nombre",
        "password": "Contraseña",
        "login_hint": "¿Sin cuenta? Quien administra este servidor la crea: roomtone hub user add NOMBRE",
        "login_refused": "El nombre o la contraseña no son correctos.",
        "login_often": "Demasiados intentos. Espere un minuto.",
        "login_busy": "Demasiadas personas entran ahora mismo. Inténtelo de nuevo enseguida.",
        "login_database": "La base de datos no responde ahora mismo. Inténtelo de nuevo enseguida.",
        "skip": "Ir al contenido",
        "home": "Roomtone, al inicio",
        "pages": "Páginas",
        "Rooms": "Salas",
        "Fleet": "Dispositivos",
        "Alerts": "Avisos",
        "Models": "Modelos",
        "Try it": "Pruébelo",
        "Room": "Sala",
        "language": "English",
        "language_code": "en",
        "theme": "Oscuro o claro",
    },
}


def words(language: str) -> Mapping[str, str]:
    """The table of a language."""
    return TABLES.get(language, TABLES[DEFAULT])


def language_of(connection: HTTPConnection) -> str:
    """The one that the reader chose, else the first of their browser's that there is a table for."""
    chosen = connection.cookies.get(COOKIE, "")
    if chosen in TABLES:
        return chosen
    for wanted in connection.headers.get("accept-language", "")[:200].split(","):
        code = wanted.split(";")[0].strip().lower()[:2]
        if code in TABLES:
            return code
    return DEFAULT
