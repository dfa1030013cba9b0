// What must not wait for the other scripts: the chosen colour scheme, before the first paint (without a choice the
// system's wish stands), and the find key, from the moment there is a box to find.
(() => {
  try {
    const chosen = localStorage.getItem("crossdock-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.classList.add(chosen);
  } catch { /* storage may be forbidden; the system's wish stands */ }
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    const asked = (event.key === "/" && !typing) || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey));
    const box = asked && document.querySelector("#finder");
    if (box) { event.preventDefault(); box.focus(); box.select(); }
  });
})();
