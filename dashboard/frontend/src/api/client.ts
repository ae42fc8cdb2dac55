// Calls to the REST API. Types come from the API's own OpenAPI document (`npm run types`).

import { text, translateError } from "@/i18n";

import type { components } from "./schema";

export type Schemas = components["schemas"];
export type Account = Schemas["Me"];
export type HubInfo = Schemas["HubInfo"];
export type RoomSummary = Schemas["RoomOut"];
export type Fleet = Schemas["Fleet"];
export type Device = Schemas["Device"];
export type Models = Schemas["Models"];
export type Model = Schemas["ModelOut"];
export type ModelDevice = Schemas["DeviceModel"];
export type Rule = Schemas["Rule"];
export type NewRule = Schemas["NewRule"];
export type ChannelInfo = Schemas["ChannelInfo"];
export type Alert = Schemas["Alert"];
export type Session = Schemas["SessionOut"];
export type Token = Schemas["Token"];
export type User = Schemas["User"];
export type CreatedUser = Schemas["Created"];
export type GuestLink = Schemas["GuestLink"];
export type ActionResult = Schemas["ActionResult"];

/** An error with words for the reader; `status` is that of HTTP, 0 when the hub did not answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

function messageOf(answer: unknown): string | undefined {
  if (typeof answer !== "object" || answer === null || !("error" in answer)) return undefined;
  return typeof answer.error === "string" ? answer.error : undefined;
}

/**
 * Sends a request and returns the decoded answer (null for 204). A session that has ended loads the page again, which
 * leads to the login. Throws ApiError.
 */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const options: RequestInit = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers = { Accept: "application/json", "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let reply: Response;
  try {
    reply = await fetch(`/api/${path}`, options);
  } catch (error) {
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
  if (reply.status === 401) location.reload();
  const answer: unknown = reply.status === 204 ? null : await reply.json().catch(() => null);
  if (!reply.ok) throw new ApiError(reply.status, messageOf(answer) ?? `HTTP ${reply.status}`);
  return answer as T;
}

/** What went wrong, for the reader. */
export function messageFrom(error: unknown): string {
  if (error instanceof ApiError && error.status === 0) return text.hub_silent;
  return translateError(error instanceof Error ? error.message : String(error));
}
