// English texts of the user's own account.

export const account = {
  account: "Your account",
  account_of: (name: string, role: string) => `${name}, ${role}`,
  roles: { viewer: "may look at everything", operator: "may change everything" },
  no_account: "This hub has no accounts: it answers to this computer only.",
  change_password: "Change the password",
  old_password: "Old password",
  new_password: "New password",
  new_password_again: "New password, once more",
  passwords_differ: "The two new passwords are not the same.",
  end_tokens: "End my API tokens, too",
  password_hint: "All browsers in which you are logged in have to log in again.",
  password_changed: "The password is changed. Log in with the new one.",
};
