// Requests to the server. The token stands behind # in the address, where browsers keep it to themselves; the tab
// remembers it, so that the page can be loaded again.

"use strict";

const KEY = "torch-gptff-token";
const given = /^#token=([\w-]+)$/.exec(location.hash);
if (given) {
  sessionStorage.setItem(KEY, given[1]);
  history.replaceState(null, "", location.pathname);
}

class Refused extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers, Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: does torch-gptff serve still run?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: `The server answers ${answer.status}.` }));
  throw new Refused(told.error);
}

const askJson = async (path, options) => (await ask(path, options)).json();

const send = (path, content) =>
  askJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });

// Server-sent events, read with the token in a header, which EventSource cannot send.
async function listen(path, take, signal) {
  const answer = await ask(path, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (begun + value).split("\n\n");
    begun = events.pop();
    for (const event of events) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/s.exec(event) ?? [];
      if (signal.aborted) return; // another stream has begun, and knows more
      if (name) take(name, JSON.parse(data));
      await new Promise((done) => setTimeout(done)); // the page is drawn and hears clicks, however much comes
    }
  }
}
