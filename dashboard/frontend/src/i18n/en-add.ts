// English texts of adding a device, and of an empty hub.

export const adding = {
  empty_title: "No data yet",
  empty_text: "Rooms appear here as soon as their devices publish.",
  empty_demo: ["To try it out:", "starts a broker, this page and a few rooms with recorded speech."],
  empty_listen: ["No messages?", "These pages read from the broker"],
  add_device: "Add a device",
  add_name: "Name of the room",
  add_example: "Kitchen",
  add_topic: "Its topic:",
  add_no_id: "Use at least one letter from a to z or digit.",
  add_taken: "A device of this name is connected already. Choose another name.",
  add_local: "Other computers cannot reach this broker. Devices can connect to a hub that is started with",
  add_host: "NAME",
  add_at_hub: "At the hub, in a terminal",
  add_at_hub_hint:
    "This command needs the key of the authority, which these pages do not have. It writes a file and shows a code.",
  add_carry: "Carry the file to the device",
  add_carry_hint: "By scp or a USB stick; it holds the key of the device:",
  add_at_device: "At the device, in a checkout of Roomtone",
  add_code_hint: "In place of CODE, what the first command has shown.",
  add_password_hint: "USER is a user of your broker; the password is asked for.",
  add_reaches: "The device will connect to",
  add_progress: "How far the device has come",
  add_stages: { waiting: "Waiting", connected: "Connected", heard: "Heard" },
  add_waiting: "This page notices when the device connects.",
  add_speak: "Connected. Say a sentence in the room.",
  add_open: "Open the room",
  on_phone: "On a phone",
  on_phone_hint:
    "Scan this with the phone and follow the steps: its browser then trusts this hub, and may use the microphone here.",
  on_phone_link: "Steps, and the certificate",
};
