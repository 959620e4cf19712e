// Replaces the parts of the page that the server sends anew, and keeps the keyboard where it was.
"use strict";

const live = document.getElementById("live");
const source = new EventSource(document.querySelector("main").dataset.events);

source.onmessage = (event) => {
  for (const [id, html] of Object.entries(JSON.parse(event.data))) {
    const part = document.getElementById(id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  if (live.textContent !== "live") live.textContent = "live";
};

source.onerror = () => {
  live.textContent = "no connection to the service; trying again";
};
