"use strict";
// What HTML can't do by itself. Every page works without this file.
(() => {
  document.documentElement.dataset.js = "";

  // The market clock goes on between pages.
  const clock = document.querySelector("[data-clock]");
  if (clock && Number(clock.dataset.speed) > 0) {
    const origin = Number(clock.dataset.clock) / 1000;
    const speed = Number(clock.dataset.speed);
    const since = performance.now();
    const zh = document.documentElement.lang.startsWith("zh");
    const days = zh ? ["周日", "周一", "周二", "周三", "周四", "周五", "周六"]
      : ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun",
      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const two = (number) => String(number).padStart(2, "0");
    const show = () => {
      // China keeps no summer time: eight hours on UTC, always.
      const at = new Date(origin + (performance.now() - since) * speed + 8 * 3600e3);
      const day = days[at.getUTCDay()];
      const date = zh ? `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${day}`
        : `${day} ${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
      const text = `${date} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
      if (clock.textContent !== text) clock.textContent = text;
    };
    setInterval(show, speed > 1 ? 250 : 1000);
  }

  // A picked period shows itself: by its form, or by the button that stands beside it.
  document.addEventListener("change", (event) => {
    const auto = event.target.closest("[data-auto]");
    if (!auto) return;
    const form = auto.closest("form");
    const button = form === auto ? null : auto.querySelector("button");
    if (form.reportValidity()) form.requestSubmit(button);
  });

  // A form that costs something is sent once.
  const ready = (form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((one) => { one.disabled = false; });
  };
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => form.querySelectorAll("button").forEach((one) => { one.disabled = true; }));
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach(ready);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest("form[data-sent]");
    if (form) ready(form);
  });

  // What may or may not have arrived is said; what was typed stays, and can be sent again.
  const notice = document.getElementById("notice");
  const lost = (event) => {
    if (event.detail.requestConfig.verb === "get") return;
    const box = document.createElement("div");
    box.className = "notice";
    box.append(document.createElement("p"));
    box.firstChild.textContent = notice.dataset.lost;
    notice.replaceChildren(box);
    notice.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "get") notice.replaceChildren();
  });

  // A lost feed is said, and so is its return.
  const stale = document.getElementById("stale");
  const live = (state) => {
    document.body.dataset.live = state;
    if (stale) stale.hidden = state !== "lost";
  };
  document.addEventListener("htmx:sseOpen", () => live("on"));
  document.addEventListener("htmx:sseError", () => live("lost"));

  // What a reader has opened or is in stays so when its part is drawn anew.
  let opened = [];
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const part = event.target;
    const isTyped = (text) => text.value !== text.defaultValue;
    if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button")
      || [...part.querySelectorAll("textarea")].some(isTyped)) {
      event.preventDefault();
      return;
    }
    opened = [...part.querySelectorAll("details")].map((one) => one.open);
  });
  document.addEventListener("htmx:sseMessage", (event) => {
    event.target.querySelectorAll("details").forEach((one, place) => {
      if (opened[place]) one.open = true;
    });
  });

  // An open menu closes by Escape and by a click elsewhere.
  const menus = () => document.querySelectorAll("details.menu[open], details.account[open]");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menus().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });
  document.addEventListener("click", (event) => {
    menus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
})();
