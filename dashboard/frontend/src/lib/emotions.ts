// The labels, and one shape for each of them, so that they can be told apart without colour.

export const LABELS = ["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"] as const;
export const EMOTIONS = [...LABELS, "uncertain"] as const;
export type Label = (typeof LABELS)[number];
export type Emotion = (typeof EMOTIONS)[number];

export interface Shape {
  /** Filled outline (SVG path data, 24 x 24). */
  shape?: string;
  /** Dashed outline. */
  ring?: string;
  /** Filled parts of the face. */
  dots?: string;
  /** Strokes of the face. */
  lines?: string;
}

function star(points: number, outer: number, inner: number): string {
  const at = (i: number) => {
    const r = i % 2 ? inner : outer;
    const a = (Math.PI * i) / points - Math.PI / 2;
    return `${(12 + r * Math.cos(a)).toFixed(2)} ${(12 + r * Math.sin(a)).toFixed(2)}`;
  };
  return `M${Array.from({ length: 2 * points }, (_, i) => at(i)).join("L")}Z`;
}

const circle = (x: number, y: number, r: number) =>
  `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
const eyes = (y: number, dx = 3.2, r = 1.2) => circle(12 - dx, y, r) + circle(12 + dx, y, r);
const clover = `${[7.1, 16.9].flatMap((x) => [7.1, 16.9].map((y) => circle(x, y, 5.9))).join("")}M7 7v10h10V7Z`;

export const SHAPES: Record<Emotion, Shape> = {
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
    shape:
      "M10.5 1.7L1.7 10.5a2.1 2.1 0 0 0 0 3l8.8 8.8a2.1 2.1 0 0 0 3 0l8.8 -8.8a2.1 2.1 0 0 0 0 -3L13.5 1.7a2.1 2.1 0 0 0 -3 0Z",
    dots: eyes(10.2, 2.9, 1.5),
    lines: "M8 15.6q1 -1.7 2 0t2 0t2 0t2 0",
  },
  disgust: {
    shape:
      "M6 2.5H18A3.5 3.5 0 0 1 21.5 6V18A3.5 3.5 0 0 1 18 21.5H6A3.5 3.5 0 0 1 2.5 18V6A3.5 3.5 0 0 1 6 2.5Z",
    lines: "M7.5 8.7l3 1.5l-3 1.5M16.5 8.7l-3 1.5l3 1.5M8 17q2 -2.2 4 -0.6t4 -0.9",
  },
  surprised: {
    shape: star(8, 12, 8),
    dots: `${eyes(10, 2.9, 1.1)}M10 15.2a2 2.3 0 1 0 4 0a2 2.3 0 1 0 -4 0`,
  },
  uncertain: {
    ring: circle(12, 12, 9.2),
    lines: "M9.3 9.8a2.7 2.7 0 1 1 4.3 2.2c-1 .7-1.6 1.2-1.6 2.2M12 17v.1",
  },
};

export const isEmotion = (name: string): name is Emotion => name in SHAPES;

/** The shape as a symbol of ECharts. */
export function symbolOf(emotion: Emotion): string {
  const { shape } = SHAPES[emotion];
  return shape === undefined ? "circle" : `path://${shape}`;
}
