"use strict";
// Folds, and what is wrong alone. Without it the page shows everything, each finding to be opened by itself.
const tools = document.querySelector(".tools");
if (tools) {
  const only = tools.querySelector(".only"), fold = tools.querySelector(".fold");
  const every = [...document.querySelectorAll("details")];
  const shown = () => every.filter(one => one.checkVisibility());
  const tell = () => { fold.textContent = shown().every(one => one.open) ? fold.dataset.close : fold.dataset.open; };
  tools.hidden = false;
  only.hidden = !document.querySelector("details.fail, details.warn, details.error");
  only.addEventListener("click", () => {
    only.setAttribute("aria-pressed", document.body.classList.toggle("only-wrong"));
    tell();
  });
  fold.addEventListener("click", () => {
    const open = !shown().every(one => one.open);
    shown().forEach(one => { one.open = open; });
    tell();
  });
  every.forEach(one => one.addEventListener("toggle", tell));
  // A place in the table leads to a group that is hidden: then it is shown again.
  addEventListener("hashchange", () => {
    const there = document.getElementById(location.hash.slice(1));
    if (there && !there.checkVisibility()) only.click();
    if (there) there.focus();
  });
}
// On paper everything is open; afterwards it is as it was.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach(one => { one.open = false; }));
