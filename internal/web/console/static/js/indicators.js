// The key / leads to the search of the head, g and a number to a screen of the
// rail; what a row opens beside the list is
// told to who listens, and Escape puts it away again.
(function () {
  "use strict";
  var drawer = document.getElementById("drawer"), from = null;
  var field = document.querySelector(".search input"), slash = false, led = 0;
  document.addEventListener("keydown", function (e) {
    var bare = !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
    slash = bare && field && e.key === "/";
    if (slash) e.preventDefault(); // Firefox would search the page
    var to = bare && Date.now() - led < 2000 && document.querySelector('.nav a[data-key="' + CSS.escape(e.key) + '"]');
    if (to) to.click();
    led = bare && e.key === "g" ? Date.now() : 0;
    if (e.key === "Escape" && drawer && drawer.firstChild) shut();
  });
  document.addEventListener("keyup", function () {
    if (slash) field.select();
    slash = false;
  });
  function shut() {
    drawer.textContent = "";
    if (from) from.focus();
  }
  if (!drawer) return;
  document.addEventListener("click", function (e) {
    var a = e.target.closest("a");
    if (!a) return;
    if (a.getAttribute("hx-target") === "#drawer") from = a;
    if (a.classList.contains("shut") && drawer.contains(a)) {
      e.preventDefault();
      shut();
    }
  });
  document.body.addEventListener("htmx:after:swap", function () {
    var h = drawer.querySelector("h1");
    if (h && !drawer.contains(document.activeElement)) h.focus();
  });
})();
