// What the server answers when it refuses something, as it says it: by these texts a refusal is recognised, and shown in
// the page's language. What follows such a text is a detail, and stays as it is.

export const errors = {
  password: "the password is wrong",
  password_short: "a password has at least 10 characters",
  password_name: "the password must not contain the user name",
  password_plain: "a password has at least 5 different characters",
  role: "this needs the role operator",
  own_account: "this is your own account: another operator can change it",
  not_public: "webhook: not a public address; start `./run hub` or `roomtone dashboard` with `--notify",
  rules: "there are too many rules; remove one first",
  attempts: "too many attempts; wait a minute",
  requests: "too many requests; wait a minute",
  browsers: "too many browsers of this user are notified",
  broker: "not connected to the broker",
  database: "the database does not answer",
  device: "the device does not answer: is it online, and may this dashboard send commands to it?",
  nothing: "nothing is recorded of this room",
};
