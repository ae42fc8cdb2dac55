// One shape for each emotion, so that they can be told apart without colour; large shapes have a face.

import { h } from "vue";

function star(points, outer, inner) {
  const at = (i) => {
    const r = i % 2 ? inner : outer;
    const a = (Math.PI * i) / points - Math.PI / 2;
    return `${(12 + r * Math.cos(a)).toFixed(2)} ${(12 + r * Math.sin(a)).toFixed(2)}`;
  };
  return `M${Array.from({ length: 2 * points }, (_, i) => at(i)).join("L")}Z`;
}

const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;

const eyes = (y, dx = 3.2, r = 1.2) => circle(12 - dx, y, r) + circle(12 + dx, y, r);

const clover = [7.1, 16.9].flatMap((x) => [7.1, 16.9].map((y) => circle(x, y, 5.9))).join("") + "M7 7v10h10V7Z";

// shape: filled outline; dots: filled parts of the face; lines: its strokes
const glyphs = {
  neutral: { shape: circle(12, 12, 10), dots: eyes(10), lines: "M8.5 15.6h7" },
  happy: { shape: clover, dots: eyes(10), lines: "M7.8 13.8q4.2 4.8 8.4 0" },
  sad: {
    shape: "M12 1C12 1 3.8 9.8 3.8 15a8.2 8.2 0 0 0 16.4 0C20.2 9.8 12 1 12 1Z",
    dots: eyes(13.4, 2.9),
    lines: "M9 19q3 -2.9 6 0",
  },
  angry: {
    shape: "M10.3 2.6L1.3 18.8A2 2 0 0 0 3.1 21.8H20.9A2 2 0 0 0 22.7 18.8L13.7 2.6A2 2 0 0 0 10.3 2.6Z",
    dots: eyes(14.2, 2.9, 1.1),
    lines: "M7.4 11.2l3.2 1.7M16.6 11.2l-3.2 1.7M9.6 18.7q2.4 -1.9 4.8 0",
  },
  fearful: {
    shape: "M10.5 1.7L1.7 10.5a2.1 2.1 0 0 0 0 3l8.8 8.8a2.1 2.1 0 0 0 3 0l8.8 -8.8a2.1 2.1 0 0 0 0 -3L13.5 1.7a2.1 2.1 0 0 0 -3 0Z",
    dots: eyes(10.2, 2.9, 1.5),
    lines: "M8 15.6q1 -1.7 2 0t2 0t2 0t2 0",
  },
  disgust: {
    shape: "M6 2.5H18A3.5 3.5 0 0 1 21.5 6V18A3.5 3.5 0 0 1 18 21.5H6A3.5 3.5 0 0 1 2.5 18V6A3.5 3.5 0 0 1 6 2.5Z",
    dots: "",
    lines: "M7.5 8.7l3 1.5l-3 1.5M16.5 8.7l-3 1.5l3 1.5M8 17q2 -2.2 4 -0.6t4 -0.9",
  },
  surprised: { shape: star(8, 12, 8), dots: eyes(10, 2.9, 1.1) + "M10 15.2a2 2.3 0 1 0 4 0a2 2.3 0 1 0 -4 0", lines: "" },
  uncertain: {
    ring: circle(12, 12, 9.2),
    lines: "M9.3 9.8a2.7 2.7 0 1 1 4.3 2.2c-1 .7-1.6 1.2-1.6 2.2M12 17v.1",
  },
};

export const EMOTIONS = Object.keys(glyphs);

// The same shapes for charts.
export const symbolOf = (emotion) => (glyphs[emotion].shape ? `path://${glyphs[emotion].shape}` : "circle");

export const Glyph = {
  props: { emotion: String, face: Boolean, label: String },
  setup(props) {
    return () => {
      const known = props.emotion in glyphs ? props.emotion : "uncertain";
      const g = glyphs[known];
      const parts = [];
      if (props.label) parts.push(h("title", props.label));
      if (g.shape) parts.push(h("path", { d: g.shape, fill: "currentColor" }));
      if (g.ring)
        parts.push(h("path", { d: g.ring, fill: "none", stroke: "currentColor", "stroke-width": props.face ? 1.6 : 3, "stroke-dasharray": props.face ? "2.9 2.9" : "4.6 5.03" }));
      if (props.face) {
        const ink = g.shape ? "var(--card)" : "currentColor";
        if (g.dots) parts.push(h("path", { d: g.dots, fill: ink }));
        if (g.lines)
          parts.push(h("path", { d: g.lines, fill: "none", stroke: ink, "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round" }));
      }
      return h("svg", { viewBox: "0 0 24 24", class: ["rt-glyph", `is-${known}`], "aria-hidden": "true" }, parts);
    };
  },
};
