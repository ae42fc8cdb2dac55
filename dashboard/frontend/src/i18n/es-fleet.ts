// Textos en español sobre dispositivos, el broker y el propio servidor; las mismas claves que en-fleet.ts.

import type { fleet as english } from "./en-fleet";

export const fleet: typeof english = {
  fleet_unknown: (n: number) => `${n} sin datos`,
  fleet_faulty: (n: number) => `${n} ${n === 1 ? "necesita" : "necesitan"} atención`,
  not_known: "Aún no se sabe",
  identify: "Identificar",
  identify_hint: "parpadea la luz del dispositivo",
  restart: "Reiniciar",
  model_check: "Buscar una actualización",
  command_of: (command: string, name: string) => `${command}: ${name}`,
  command_done: (command: string) => `${command}: hecho.`,
  broker: "Broker",
  broker_states: { connecting: "conectando", connected: "conectado", lost: "sin conexión" },
  broker_tls: "cifrado (TLS)",
  broker_plain: "sin cifrar",
  broker_silent: "Este broker no dice cómo está (este servidor no puede leer $SYS).",
  clients: "Clientes",
  devices_online: "Dispositivos conectados",
  other_clients: "Otros clientes (registro, Home Assistant…)",
  refused_of: (n: number) =>
    `Lo que ha rechazado este servidor, de ${n} ${n === 1 ? "remitente" : "remitentes"}`,
  refused_times: (n: number) => `${n} ${n === 1 ? "mensaje" : "mensajes"}, el último`,
  denied_unknown: "Aquí no se puede saber qué rechaza el propio broker: no es el de este servidor.",
  denied_none: "El propio broker no ha rechazado nada desde que arrancó.",
  denied_of: (n: number) => `Lo que ha rechazado el propio broker (${n})`,
  denied_nameless: "Cliente desconocido",
  denied_kinds: {
    publish: "no puede publicar",
    subscribe: "no puede suscribirse",
    login: "no es conocido",
    no_certificate: "no tiene certificado",
    certificate: "tiene un certificado que aquí no vale",
  },
  denied_times: (n: number) => `${n} ${n === 1 ? "vez" : "veces"}, la última`,
  denied_probe: "Revocado, caducado o de otro sitio. El servidor prueba uno revocado tras cada cambio.",
  per_minute: "Mensajes por minuto, recibidos y enviados",
  dropped: "Descartados",
  retained: "Retenidos",
  uptime: "En marcha desde hace",
  ignored: "Rechazados por el servidor",
  ignored_hint: "mensajes que incumplen el protocolo",
  days: (n: number) => `${n} ${n === 1 ? "día" : "días"}`,
  hours: (n: number) => `${n} h`,
  clock_ahead: (time: string) =>
    `El reloj de este servidor está adelantado ${time}. Nada caduca hasta que esté bien: compruebe NTP.`,
};
