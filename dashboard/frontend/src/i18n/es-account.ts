// Textos en español sobre la propia cuenta; las mismas claves que en-account.ts.

import type { account as english } from "./en-account";

export const account: typeof english = {
  account: "Su cuenta",
  account_of: (name: string, role: string) => `${name}, ${role}`,
  roles: { viewer: "puede verlo todo", operator: "puede cambiarlo todo" },
  no_account: "Este concentrador no tiene cuentas: solo responde a este ordenador.",
  change_password: "Cambiar la contraseña",
  old_password: "Contraseña actual",
  new_password: "Contraseña nueva",
  new_password_again: "Contraseña nueva, otra vez",
  passwords_differ: "Las dos contraseñas nuevas no son iguales.",
  end_tokens: "Anular también mis claves de la API",
  password_hint: "Tendrá que volver a entrar en todos los navegadores.",
  password_changed: "La contraseña ha cambiado. Entre con la nueva.",
};
