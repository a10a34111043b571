// A link that a program on this machine printed (the demo) may carry the key behind "#": that part never reaches a server.
// It goes into the form and out of the address; a person presses Sign in. Elsewhere than on this machine the address is
// cleared and nothing is filled in, so that nobody can be signed in as somebody else by a link.
"use strict";
(() => {
  const key = new URLSearchParams(window.location.hash.slice(1)).get("key");
  if (!key) return;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  if (!["127.0.0.1", "localhost", "[::1]"].includes(window.location.hostname)) return;
  document.getElementById("key").value = key;
  document.getElementById("from-link").hidden = false;
  document.querySelector("form.sign-in button").focus();
})();
