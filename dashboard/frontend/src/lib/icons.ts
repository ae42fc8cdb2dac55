// Symbols of the pages, for the bar at the bottom of a phone (SVG path data, 24 x 24, strokes).

export const PAGE_ICONS = {
  rooms: "M4 11.5L12 5l8 6.5V20h-5.5v-5h-5v5H4Z",
  fleet: "M5 5h14v6H5ZM5 14h14v6H5ZM8 8h.1M8 17h.1",
  models: "M12 3.5l8 4.2v8.6l-8 4.2l-8 -4.2V7.7ZM4 7.7l8 4.3l8 -4.3M12 12v8.5",
  alerts: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15ZM10 20.5h4",
  tryIt: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3ZM6 11.5v.5a6 6 0 0 0 12 0v-.5M12 18v3",
};
