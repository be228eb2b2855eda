import { DropdownMenu } from "radix-ui";
import { useState } from "react";
import { useSession, useSignOut } from "../api/session";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { chooseTheme, chosenTheme, type Theme } from "./theme";
import { useSay } from "./toasts";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const ITEM = "flex min-h-9 cursor-pointer items-center gap-2 rounded-control px-3 text-small outline-none data-[highlighted]:bg-sunk";

/** The theme, the keys, and who is signed in. */
export function Account({ onHelp }: { onHelp: () => void }) {
  const session = useSession();
  const signOut = useSignOut();
  const say = useSay();
  const [theme, setTheme] = useState(chosenTheme);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="button button-bare" aria-label={texts.theme.menu}>
        <Icon name="more" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="end" sideOffset={6} className="z-50 min-w-48 rounded-sheet border border-line bg-raised p-1.5 shadow-lg">
          <DropdownMenu.Label className="eyebrow px-3 py-1">{texts.theme.label}</DropdownMenu.Label>
          <DropdownMenu.RadioGroup
            value={theme}
            onValueChange={(chosen) => {
              chooseTheme(chosen as Theme);
              setTheme(chosen as Theme);
            }}
          >
            {THEMES.map((one) => (
              <DropdownMenu.RadioItem key={one} value={one} className={ITEM}>
                <span className="w-5">
                  <DropdownMenu.ItemIndicator>
                    <Icon name="check" size={16} />
                  </DropdownMenu.ItemIndicator>
                </span>
                {texts.theme[one]}
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
          <DropdownMenu.Separator className="my-1.5 h-px bg-line" />
          <DropdownMenu.Item className={ITEM} onSelect={onHelp}>
            <span className="w-5 text-center text-soft">?</span>
            {texts.help.title}
          </DropdownMenu.Item>
          {session?.token && (
            <>
              <DropdownMenu.Separator className="my-1.5 h-px bg-line" />
              <DropdownMenu.Label className="max-w-64 truncate px-3 py-1 text-small text-soft">
                <bdi>{texts.signIn.as(session.name ?? "", session.role ?? "")}</bdi>
              </DropdownMenu.Label>
              <DropdownMenu.Item className={ITEM} onSelect={() => signOut.mutate(undefined, { onError: (error) => say(error.message, { bad: true }) })}>
                <span className="w-5" />
                {texts.signIn.out}
              </DropdownMenu.Item>
            </>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
