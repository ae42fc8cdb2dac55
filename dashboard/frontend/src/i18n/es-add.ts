// Textos en español para añadir un dispositivo; las mismas claves que en-add.ts.

import type { adding as english } from "./en-add";

export const adding: typeof english = {
  empty_title: "Aún no hay datos",
  empty_text: "Las salas aparecen aquí en cuanto sus dispositivos publican.",
  empty_demo: ["Para probar:", "inicia un broker, esta página y unas salas con voz grabada."],
  empty_listen: ["¿No llegan mensajes?", "Estas páginas leen del broker"],
  add_device: "Añadir un dispositivo",
  add_name: "Nombre de la sala",
  add_example: "Cocina",
  add_topic: "Su tema:",
  add_no_id: "Use al menos una letra de la a a la z o una cifra.",
  add_taken: "Ya hay un dispositivo conectado con este nombre. Elija otro.",
  add_local:
    "Otros ordenadores no llegan a este broker. Los dispositivos pueden conectarse a un servidor iniciado con",
  add_host: "NOMBRE",
  add_at_hub: "En el servidor, en una terminal",
  add_at_hub_hint:
    "Esta orden necesita la clave de la autoridad, que estas páginas no tienen. Crea un archivo y muestra un código.",
  add_carry: "Lleve el archivo al dispositivo",
  add_carry_hint: "Por scp o con una memoria USB; contiene la clave del dispositivo:",
  add_at_device: "En el dispositivo, en una copia de Roomtone",
  add_code_hint: "En lugar de CODE, lo que mostró la primera orden.",
  add_password_hint: "USER es un usuario de su broker; la contraseña se pide.",
  add_reaches: "El dispositivo se conectará a",
  add_progress: "Hasta dónde ha llegado el dispositivo",
  add_stages: { waiting: "Esperando", connected: "Conectado", heard: "Oído" },
  add_waiting: "Esta página avisa cuando el dispositivo se conecta.",
  add_speak: "Conectado. Diga una frase en la sala.",
  add_open: "Abrir la sala",
  on_phone: "En un teléfono",
  on_phone_hint:
    "Escanéelo con el teléfono y siga los pasos: su navegador confiará en este servidor y podrá usar el micrófono aquí.",
  on_phone_link: "Pasos y certificado",
};
