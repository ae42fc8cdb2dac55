// Lo que responde el servidor cuando rechaza algo; las mismas claves que en-errors.ts.

export const errors = {
  password: "la contraseña no es correcta",
  password_short: "una contraseña tiene al menos 10 caracteres",
  password_name: "la contraseña no debe contener el nombre de usuario",
  password_plain: "una contraseña tiene al menos 5 caracteres distintos",
  role: "esto requiere el rol de operador",
  own_account: "es su propia cuenta: otro operador puede cambiarla",
  not_public: "webhook: no es una dirección pública; inicie `./run hub` o `roomtone dashboard` con `--notify",
  rules: "hay demasiadas reglas; elimine antes una",
  attempts: "demasiados intentos; espere un minuto",
  requests: "demasiadas peticiones; espere un minuto",
  browsers: "ya se avisa a demasiados navegadores de este usuario",
  broker: "sin conexión con el broker",
  database: "la base de datos no responde",
  device: "el dispositivo no responde: ¿está conectado y puede este panel enviarle comandos?",
  nothing: "no hay nada grabado de esta sala",
};
