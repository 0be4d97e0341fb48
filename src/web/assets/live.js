// Shows a page anew when the service says that something has changed, or when a part of it was still being
// counted. Without it, reload.
(() => {
  "use strict";
  const main = document.querySelector("main[data-live]");
  if (!main || !window.EventSource) return;
  let busy = false;
  const isInUse = () =>
    document.hidden ||
    (document.activeElement !== main && main.contains(document.activeElement)) ||
    main.querySelector("details[open]") !== null ||
    !document.getSelection().isCollapsed;
  const look = async () => {
    if (busy || isInUse()) return;
    busy = true;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.querySelector("main[data-live]");
      if (next && !isInUse()) main.replaceChildren(...next.childNodes);
    } catch {
      // The service is gone for a moment; the next event tries again.
    } finally {
      busy = false;
    }
  };
  new EventSource("/live").addEventListener("changed", look);
  setInterval(() => main.querySelector("[data-soon]") && look(), 2000);
})();
