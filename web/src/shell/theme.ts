/** system, light or dark; kept in this browser. public/theme.js applies it before the first paint. */
export type Theme = "system" | "light" | "dark";

const KEY = "omma.theme";

export function chosenTheme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Not kept where storage is forbidden.
  }
}
