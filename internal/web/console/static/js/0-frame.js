// What a page does beyond links and forms: clocks move on, and a stream that is
// lost says so. Everything works without it.
(function () {
  "use strict";
  var started = Date.now(), clocks = [];
  document.querySelectorAll(".clocks b[data-offset]").forEach(function (b) {
    var t = b.textContent.split(":");
    clocks.push({ at: b, from: (+t[0] * 60 + +t[1]) * 60 + +t[2], date: b.nextElementSibling, days: 0 });
  });
  function day(iso, days) {
    var d = new Date(Date.parse(iso) + days * 864e5);
    if (document.documentElement.lang === "ja") return d.getUTCMonth() + 1 + "月" + d.getUTCDate() + "日(" + "日月火水木金土"[d.getUTCDay()] + ")";
    return d.toUTCString().slice(0, 11).replace(/, 0?/, " ");
  }
  function two(n) { return (n < 10 ? "0" : "") + n; }
  setInterval(function () {
    var gone = Math.floor((Date.now() - started) / 1000);
    clocks.forEach(function (c) {
      var s = (c.from + gone) % 86400, days = Math.floor((c.from + gone) / 86400);
      if (days !== c.days) c.date.textContent = day(c.date.dataset.day, c.days = days);
      c.at.textContent = two(Math.floor(s / 3600)) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
    });
  }, 1000);

  var lost = document.getElementById("lost");
  document.body.addEventListener("htmx:sse:after:connection", function (e) {
    lost.hidden = e.detail.connection.status === 200;
  });
  function gone() {
    if (!lost.hidden) return;
    lost.querySelector("b").textContent = clocks[0] ? clocks[0].at.textContent + " JST" : "";
    lost.hidden = false;
  }
  document.body.addEventListener("lost", gone);
  ["htmx:sse:error", "htmx:sse:before:connection"].forEach(function (name) {
    document.body.addEventListener(name, function (e) {
      if (e.detail.connection.attempt > 0) gone();
    });
  });

  // What scrolls sideways can be come to with the keyboard.
  function reach() {
    document.querySelectorAll(".card, .sc, .pt-scroll, .scroll").forEach(function (c) {
      if (c.scrollWidth > c.clientWidth) c.tabIndex = 0;
    });
  }
  reach();
  document.body.addEventListener("htmx:after:swap", reach);
})();
