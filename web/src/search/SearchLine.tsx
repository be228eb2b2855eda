import { type FormEvent, useEffect, useRef, useState } from "react";
import { Icon } from "../shell/Icon";
import { isTyping } from "../shell/keys";
import { texts } from "../texts";

/** The one line: words go in by typing, pictures by the button, by paste or by drop. */
export function SearchLine({
  text,
  onWords,
  onPicture,
}: {
  text: string;
  onWords: (text: string) => void;
  onPicture: (picture: File) => void;
}) {
  const [typed, setTyped] = useState(text);
  const line = useRef<HTMLInputElement>(null);
  const file = useRef<HTMLInputElement>(null);
  useEffect(() => setTyped(text), [text]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "/" || isTyping(event.target) || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      line.current?.focus();
      line.current?.select();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onWords(typed.trim());
  };
  return (
    <form role="search" onSubmit={submit} className="flex h-12 items-center gap-1 rounded-sheet border border-line bg-raised ps-4 pe-1.5 focus-within:border-ink">
      <span className="text-soft">
        <Icon name="search" />
      </span>
      <input
        ref={line}
        type="search"
        enterKeyHint="search"
        dir="auto"
        maxLength={2000}
        aria-label={texts.search.label}
        placeholder={texts.search.placeholder}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        className="h-full min-w-0 flex-1 bg-transparent px-2 text-base outline-none placeholder:text-soft [&::-webkit-search-cancel-button]:hidden"
      />
      <input
        ref={file}
        type="file"
        accept="image/*"
        hidden
        onChange={(event) => {
          const chosen = event.target.files?.[0];
          if (chosen) onPicture(chosen);
          event.target.value = "";
        }}
      />
      <button type="button" className="button button-bare" aria-label={texts.search.pick} title={texts.search.pick} onClick={() => file.current?.click()}>
        <Icon name="picture" />
      </button>
      <button type="submit" className="button button-strong">
        {texts.search.go}
      </button>
    </form>
  );
}
