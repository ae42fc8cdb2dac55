// The CSV file of the hub as a Parquet file, made in the browser: the hub needs neither the library nor the memory.

import { parquetWriteBuffer } from "hyparquet-writer";
import type { BasicType, ColumnSource } from "hyparquet-writer";

const TYPES: Record<string, BasicType> = {
  node: "STRING",
  event_type: "STRING",
  model: "STRING",
  id: "STRING",
  boot: "STRING",
  duration_ms: "INT32",
  latency_ms: "INT32",
  seq: "INT64",
  started_at: "TIMESTAMP",
};

function cells(line: string): string[] {
  // Fields that contain a comma or a quote are quoted (RFC 4180).
  return [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)]
    .slice(0, -1)
    .map((found) => found[1] ?? "")
    .map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));
}

function valueOf(type: BasicType, cell: string): unknown {
  if (cell === "") return null;
  if (type === "STRING") return cell;
  if (type === "TIMESTAMP") return new Date(cell);
  return type === "INT64" ? BigInt(cell) : Number(cell);
}

/** Columns of the file, from the text of the CSV. Throws Error for a file that is incomplete. */
export function columnsOf(csv: string): ColumnSource[] {
  const lines = csv.split("\r\n").filter(Boolean);
  const last = lines.at(-1) ?? "";
  if (last.startsWith("#")) throw new Error(last.slice(2));
  const names = cells(`${lines[0] ?? ""},`);
  const rows = lines.slice(1).map((line) => cells(`${line},`));
  return names.map((name, i) => {
    const type = TYPES[name] ?? "DOUBLE";
    return { name, type, data: rows.map((row) => valueOf(type, row[i] ?? "")), nullable: true };
  });
}

export const toParquet = (csv: string) =>
  new Blob([parquetWriteBuffer({ columnData: columnsOf(csv) })], { type: "application/vnd.apache.parquet" });
