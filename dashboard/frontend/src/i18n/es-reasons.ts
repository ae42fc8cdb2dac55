// Why a message, a model release or a notification failed: by a part of what the server or a device says, the first that
// fits. In English that text is enough; it stays behind the words, as it has the details.

type Reasons = readonly (readonly [part: string, words: string])[];

export const reasons = {
  message: [
    ["not a topic of a room", "no es un tema de una sala"],
    ["unknown topic", "el protocolo no tiene ese tema"],
    ["info of another node", "nombra otro dispositivo"],
    [" bytes, at most ", "el mensaje es demasiado grande"],
    ["a retained event", "un evento no se guarda en el broker: llegaría otra vez en cada arranque"],
    [": ", "el contenido incumple el protocolo"],
  ],
  release: [
    ["rolled back: ", "se ha vuelto al modelo anterior"],
    ["was rolled back here before", "ya se rechazó aquí y no se instala otra vez"],
    ["refused by validation", "no ha pasado la validación"],
    ["expired: not renewed in time", "los metadatos firmados han caducado"],
    ["rollback or mix-and-match attack refused", "los metadatos son más antiguos que los conocidos"],
    ["freeze attack refused", "los metadatos valen más tiempo del que firma un servidor"],
    ["not signed by enough of the keys", "faltan firmas de claves en las que confía el dispositivo"],
    ["endless data attack refused", "el servidor envía más datos de los permitidos"],
    ["not the signed bytes", "el archivo no es el que se firmó"],
    ["too slow: slow retrieval attack", "la descarga es demasiado lenta"],
    ["the hub does not serve it", "el servidor no lo ofrece"],
    ["the hub cannot be reached", "el dispositivo no llega al servidor"],
    ["invalid metadata", "los metadatos no son válidos"],
    ["root metadata", "faltan los metadatos raíz del sitio"],
    ["oversized target", "el modelo es demasiado grande"],
    [" MiB, more than ", "el modelo es demasiado grande"],
    ["needs roomtone ", "necesita una versión más nueva de Roomtone"],
    ["the clock is not synchronised", "el reloj del dispositivo no está sincronizado"],
    ["the update service ", "el servicio de actualización no funciona"],
  ],
  delivery: [
    ["no SMTP server", "falta un servidor SMTP: inicie `./run hub` o `roomtone dashboard` con `--smtp URL`"],
    ["no browser has asked for notifications", "ningún navegador ha pedido avisos"],
    ["is not a public address", "no es una dirección pública; se permite con `--notify`"],
    [" has no address", "no se conoce el nombre del servidor"],
    ["CERTIFICATE_VERIFY_FAILED", "no se acepta el certificado del servidor"],
    ["Timeout", "el servidor no responde a tiempo"],
    ["ConnectError", "no se llega al servidor"],
    ["ConnectionRefusedError", "no se llega al servidor"],
    ["gaierror", "no se conoce el nombre del servidor"],
    ["SMTPAuthenticationError", "el servidor no acepta el usuario o la contraseña"],
    ["SMTPRecipientsRefused", "el servidor no acepta al destinatario"],
    ["SMTPSenderRefused", "el servidor no acepta al remitente"],
    ["status ", "el servidor ha respondido con un error"],
  ],
} satisfies Record<string, Reasons>;
