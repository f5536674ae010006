// Text becomes HTML in one place alone: where htmx reads what this server
// answered. Whatever else tries to is refused by the browser (Trusted Types),
// and a fragment brings no script.
(function () {
  "use strict";
  if (!window.trustedTypes) return;
  var own = window.trustedTypes.createPolicy("noroshi", { createHTML: function (s) { return s; } });
  window.htmx.registerExtension("trusted", {
    init: function (api) {
      api.initSecurity({
        createHTML: function (s) { return own.createHTML(s); },
        createScript: function () { throw new TypeError("a fragment has a script"); }
      });
    }
  });
})();
