// Applies the chosen colour scheme before the first paint. Without a choice the system's wish stands.
(() => {
  try {
    const chosen = localStorage.getItem("crossdock-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.classList.add(chosen);
  } catch { /* storage may be forbidden; the system's wish stands */ }
})();
