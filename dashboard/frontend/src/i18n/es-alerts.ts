// Textos en español sobre alertas y avisos; las mismas claves que en-alerts.ts.

import type { alerts as english } from "./en-alerts";

export const alerts: typeof english = {
  on_now: "Activas ahora",
  earlier_alerts: "Anteriores",
  kind: "Cuándo",
  kinds: {
    emotion: "Una emoción es frecuente",
    loud: "Hay mucho ruido",
    episode: "Alguien está agitado un rato",
  },
  rule_level: "Más fuerte que (dBFS)",
  says_loud: (level: number, minutes: number) =>
    `Más fuerte que ${level} dBFS de media durante ${minutes} min`,
  says_episode: (minutes: number) => `Un episodio de agitación dura ${minutes} min`,
  value_loud: (value: number) => `${Math.round(value)} dBFS`,
  value_episode: (value: number) => `${Math.round(value)} min`,
  rule_email: "Correo (opcional)",
  rule_email_off:
    "Los correos necesitan un servidor SMTP: inicie `./run hub` o `roomtone dashboard` con `--smtp URL`.",
  rule_push: "Avisar a los navegadores",
  edit: "Editar",
  rule_edit: (name: string) => `Editar la regla ${name}`,
  rule_save: "Guardar regla",
  pause: "Pausar",
  resume: "Reanudar",
  rule_pause: (name: string) => `Pausar la regla ${name}`,
  rule_resume: (name: string) => `Reanudar la regla ${name}`,
  paused: "en pausa",
  test: "Probar",
  rule_test: (name: string) => `Probar la regla ${name}`,
  test_good: (channels: string) => `Enviado: ${channels}.`,
  test_bad: (channels: string) => `Ha fallado: ${channels}`,
  channels: { mqtt: "MQTT", webhook: "webhook", email: "correo", push: "navegadores" },
  sent_at: (channel: string, time: string) => `${channel}: enviado ${time}`,
  not_sent: (channel: string, time: string, error: string) => `${channel}: ha fallado ${time}: ${error}`,
  browser_title: "Este navegador",
  browser_on: "Este navegador avisa de las reglas que lo piden, también con la página cerrada.",
  browser_off: "Este navegador no muestra avisos.",
  browser_cannot:
    "Los avisos necesitan HTTPS con un certificado que este navegador conozca, y un navegador que los tenga.",
  browser_untrusted:
    "Los avisos necesitan el certificado de este servidor en este navegador: instálelo y reinicie el navegador.",
  browser_refused:
    "Los avisos están bloqueados para esta página. Permítalos en los ajustes del sitio, junto a la dirección.",
  browser_start: "Avisar en este navegador",
  browser_stop: "Dejar de avisar en este navegador",
};
