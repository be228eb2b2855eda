/** What a picture is called on the page: the last part of where it lies, else its number. */
export function nameOf(picture: { id: number; uri?: string; attributes?: Record<string, unknown> }): string {
  const caption = picture.attributes?.caption;
  if (typeof caption === "string" && caption.trim()) return caption.trim().slice(0, 120);
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
