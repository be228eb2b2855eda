/** Names for what the OpenAPI document says of answers. */
import type { paths } from "./openapi";

export type Json<R> = R extends { content: { "application/json": infer T } } ? T : never;

export type SearchAnswer = Json<paths["/search"]["post"]["responses"][200]>;
export type Hit = SearchAnswer["results"][number];
export type Picture = Json<paths["/images/{image_id}"]["get"]["responses"][200]>;
export type PicturePage = Json<paths["/images"]["get"]["responses"][200]>;
export type Uploaded = Json<paths["/images"]["post"]["responses"][201]>;
export type SearchBody = NonNullable<paths["/search"]["post"]["requestBody"]>["content"]["application/json"];
export type Health = Json<paths["/health"]["get"]["responses"][200]>;
export type Session = Json<paths["/ui/session"]["get"]["responses"][200]>;
export type Role = NonNullable<Session["role"]>;
