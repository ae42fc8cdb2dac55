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
        "login_hint": "No account? At the hub, this command creates one: roomtone hub user add NAME",
        "token": "Token",
        "token_hint": "This dashboard has no login. Open the address with the token that it printed at its start.",
        "login_refused": "Name or password is wrong.",
        "login_often": "Too many attempts. Wait a minute.",
        "login_busy": "Too many login attempts at the moment. Try again later.",
        "login_database": "The database does not answer. Try again later.",
        "phone": "On this phone or computer",
        "phone_why": "Browsers do not know who signed this hub’s certificate. Install this one once, and this browser "
        "trusts the hub: no warning, a microphone for Try it, and notifications.",
        "phone_get": "Certificate of this hub",
        "phone_android": "Android|Open the certificate above.|Settings, search for “CA certificate”, install anyway.|"
        "Choose the file roomtone-ca.crt.",
        "phone_ios": "iPhone, iPad|Open the certificate above in Safari and allow the profile.|Settings, “Profile "
        "downloaded”, install.|Settings, General, About, Certificate Trust Settings: switch it on.",
        "phone_computer": "Computer|Download the certificate above.|Chrome, Edge: Settings, search for “certificates”, "
        "import it as a trusted authority.|Firefox: Settings, search for “certificates”, View Certificates, "
        "Authorities, Import, trust it for websites.",
        "phone_check": "The hub shows the certificate’s SHA-256 fingerprint at its start: compare it. It can sign for "
        "this home only: names below .local, .lan and .home.arpa, private addresses, and this hub.",
        "phone_open": "Then open the pages",
        "guest": "Try it",
        "guest_text": "Record a sentence, and this hub classifies its emotion. The recording is not kept.",
        "guest_submit": "Begin",
        "guest_over": "This link has been used already, or its ten minutes are over. Ask for a new one.",
    },
    "es": {
        "login": "Iniciar sesión",
        "name": "Nombre",
        "password": "Contraseña",
        "login_hint": "¿Sin cuenta? En el servidor, esta orden crea una: roomtone hub user add NOMBRE",
        "token": "Token",
        "token_hint": "Este panel no tiene inicio de sesión. Abra la dirección con el token que mostró al arrancar.",
        "login_refused": "El nombre o la contraseña no son correctos.",
        "login_often": "Demasiados intentos. Espere un minuto.",
        "login_busy": "Demasiados inicios de sesión en este momento. Inténtelo más tarde.",
        "login_database": "La base de datos no responde. Inténtelo más tarde.",
        "phone": "En este teléfono u ordenador",
        "phone_why": "Los navegadores no conocen a quien firmó el certificado de este servidor. Instale este una vez "
        "y el navegador confiará en el servidor: sin avisos, con micrófono para Pruébelo y con notificaciones.",
        "phone_get": "Certificado de este servidor",
        "phone_android": "Android|Abra el certificado de arriba.|Ajustes, busque «certificado de CA», instálelo de "
        "todos modos.|Elija el archivo roomtone-ca.crt.",
        "phone_ios": "iPhone, iPad|Abra el certificado de arriba en Safari y permita el perfil.|Ajustes, «Perfil "
        "descargado», instálelo.|Ajustes, General, Información, Ajustes de confianza de los certificados: actívelo.",
        "phone_computer": "Ordenador|Descargue el certificado de arriba.|Chrome, Edge: Configuración, busque "
        "«certificados», impórtelo como entidad de confianza.|Firefox: Ajustes, busque «certificados», Ver "
        "certificados, Autoridades, Importar, confíe en él para sitios web.",
        "phone_check": "El servidor muestra al arrancar la huella SHA-256 del certificado: compárela. Solo puede "
        "firmar para esta casa: nombres bajo .local, .lan y .home.arpa, direcciones privadas y este servidor.",
        "phone_open": "Después abra las páginas",
        "guest": "Pruébelo",
        "guest_text": "Grabe una frase y este servidor clasificará su emoción. La grabación no se guarda.",
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
