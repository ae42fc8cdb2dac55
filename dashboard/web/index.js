export * as charts from "roomtone/charts.js";
export { EMOTIONS, Glyph } from "roomtone/glyph.js";
export { Card } from "roomtone/card.js";
export { Capture } from "roomtone/capture.js";
export { Manage } from "roomtone/manage.js";
export { call, poll } from "roomtone/shell.js";
export { text } from "roomtone/text.js";
export { Tile, condition } from "roomtone/tile.js";
export { Utterances } from "roomtone/utterances.js";
