import { useState } from "react";
import { useSession, useSignIn } from "../api/session";
import { texts } from "../texts";
import { Sheet } from "./Sheet";

/** Over the page, so that what was being done is there afterwards. */
export function SignIn() {
  const session = useSession();
  const signIn = useSignIn();
  const [key, setKey] = useState("");
  const [was, setWas] = useState(false);
  if (session?.signed_in && !was) setWas(true);
  return (
    <Sheet title={texts.signIn.title} open={session?.signed_in === false}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate(key.trim(), { onSuccess: () => setKey("") });
        }}
      >
        <p className="text-small text-soft">{was ? texts.signIn.over : texts.signIn.about}</p>
        <label className="flex flex-col gap-1 text-small">
          {texts.signIn.key}
          <input className="field" type="password" autoComplete="current-password" required value={key} onChange={(event) => setKey(event.target.value)} />
        </label>
        {signIn.error && (
          <p role="alert" className="text-small text-bad">
            {signIn.error.message}
          </p>
        )}
        <button type="submit" className="button button-strong self-start" disabled={signIn.isPending}>
          {texts.signIn.go}
        </button>
      </form>
    </Sheet>
  );
}
