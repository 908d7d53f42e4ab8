// What every script here needs: Debian's Chromium, and a page whose every complaint is kept.
import { chromium } from "playwright-core";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const pictures = process.env.PICTURES;

export const started = async () => chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// A page in a context of its own. Complaints: console errors, CSP violations, uncaught errors.
export async function opened(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => { complaints.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(address, { waitUntil: "load" });
  return { page, context, complaints, close: () => context.close() };
}

// axe looks from outside the page's policy, as browser tools do; the policy itself stays in force.
export async function accessible(page, name) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(bad.map(({ id, nodes }) => `${name}: ${id}: ${nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join(" | ")}`), []);
  return violations.map(({ id, impact }) => `${impact} ${id}`);
}

export const narrow = async (page, name) => {
  const { wide, seen, who } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    seen: document.documentElement.clientWidth,
    who: [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".hidden, .skip, svg"))
      .slice(0, 5).map((e) => `${e.localName}.${e.className} ${e.textContent.slice(0, 40)}`),
  }));
  assert.ok(wide <= seen, `${name}: ${wide} px in ${seen}: ${who.join(" | ")}`);
};

export async function run(steps) {
  const browser = await started();
  try {
    for (const [name, step] of steps) {
      console.error(`step: ${name}`);
      await step(browser);
    }
    console.log("all steps done");
  } finally {
    await browser.close();
  }
}
