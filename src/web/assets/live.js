// Shows a page anew when the service says that something has changed, and every two seconds while a part of it is
// still on its way. Without it, reload.
(() => {
  "use strict";
  const main = document.querySelector("main[data-live]");
  if (!main || !window.EventSource) return;
  let busy = false;
  let line = null;
  const isInUse = () =>
    document.hidden ||
    (document.activeElement !== main && main.contains(document.activeElement)) ||
    main.querySelector("details[open]") !== null ||
    !document.getSelection().isCollapsed;
  // What an act has said is said once, and stays until whoever did it goes on.
  const show = (next) => {
    const said = main.querySelector(":scope > [data-said]");
    while (main.lastChild && main.lastChild !== said) main.lastChild.remove();
    main.append(...next.childNodes);
  };
  const showAnew = async () => {
    if (busy || isInUse()) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Again": "1" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.querySelector("main[data-live]");
      if (next && !isInUse()) show(next);
    } catch {
      // The service is gone for a moment; the next time tries again.
    } finally {
      busy = false;
    }
  };
  // A page that nobody sees keeps no line open: a browser has only a few for all its pages.
  const listen = () => {
    if (document.hidden) {
      line?.close();
      line = null;
    } else if (!line || line.readyState === EventSource.CLOSED) {
      line = new EventSource("/live");
      line.addEventListener("changed", showAnew);
    }
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    showAnew();
  });
  // Where all lines were taken, or the service was away, there may be one by now.
  setInterval(listen, 30000);
  setInterval(() => main.querySelector("[data-soon]") && showAnew(), 2000);
  listen();
})();
