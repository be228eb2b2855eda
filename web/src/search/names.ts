/** What a picture is called on the page: its caption, the file's name that it was added with, the last part of where it lies, or its number. */
export function nameOf(picture: { id: number; uri?: string; attributes?: Record<string, unknown> }): string {
  for (const said of [picture.attributes?.caption, picture.attributes?.filename]) {
    if (typeof said === "string" && said.trim()) return said.trim().slice(0, 120);
  }
  const last = picture.uri?.startsWith("omma:") ? "" : (picture.uri?.split(/[?#]/)[0]?.split("/").pop() ?? "");
  return (unquoted(last) || `#${picture.id}`).slice(0, 120);
}

function unquoted(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
