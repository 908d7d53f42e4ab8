// Nothing stands in the way of anyone: axe, keyboard, narrow screens, large type, dark, print, hostile.
import assert from "node:assert/strict";
import { accessible, narrow, opened, pictures, run } from "./browser.mjs";

const [address, control] = process.argv.slice(2);
const order = async (what) => assert.equal((await fetch(`${control}/${what}`, { method: "POST" })).status, 200, what);
const check = "/checks/pypi%40pypi.org%3A443";
const phone = { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true };

run([
  ["axe finds nothing serious, light and dark, wide and narrow, in every world", async (browser) => {
    for (const world of ["five-faults", "first-round", "hostile", "healthy"]) {
      await order(world);
      for (const options of [{}, { colorScheme: "dark" }]) {
        const { page, complaints, close } = await opened(browser, `${address}/?all`, options);
        await accessible(page, `${world} ${JSON.stringify(options)}`);
        assert.deepEqual(complaints, []);
        await close();
      }
    }
    await order("five-faults");
    for (const options of [{}, { colorScheme: "dark" }, phone]) {
      for (const path of ["/", check]) {
        const { page, complaints, close } = await opened(browser, address + path, options);
        await accessible(page, `${path} ${JSON.stringify(options)}`);
        await page.screenshot({ path: `${pictures}/${path.length > 1 ? "check" : "overview"}-${options.colorScheme ?? options.viewport?.width ?? "light"}.png`, fullPage: true });
        assert.deepEqual(complaints, []);
        await close();
      }
    }
  }],

  ["nothing is wider than a phone, nor than a screen at 200 %", async (browser) => {
    for (const world of ["five-faults", "hostile"]) {
      await order(world);
      for (const options of [phone, { viewport: { width: 640, height: 450 } }, { viewport: { width: 320, height: 500 } }, { ...phone, javaScriptEnabled: false }]) {
        const { page, close } = await opened(browser, `${address}/?all`, options);
        const size = `${world} ${JSON.stringify(options)}`;
        await narrow(page, size);
        const link = page.locator(".checks th a").first();
        await page.goto(new URL(await link.getAttribute("href"), address).href);
        await narrow(page, `${size} check`);
        await close();
      }
    }
    await order("five-faults");
  }],

  ["the keyboard reaches everything and is never trapped", async (browser) => {
    const { page, close } = await opened(browser, address);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.id === "main");
    const seen = new Set();
    const all = await page.evaluate(() => [...document.querySelectorAll("main a, main button, main summary")].filter((e) => e.checkVisibility()).length);
    for (let at = 0; at < all + 5; at += 1) {
      await page.keyboard.press("Tab");
      const here = await page.evaluate(() => {
        const active = document.activeElement;
        if (!active.closest("main")) return null;
        const { outlineStyle, outlineWidth } = getComputedStyle(active);
        globalThis.places ??= new Map();
        if (!places.has(active)) places.set(active, places.size);
        return { place: places.get(active), visible: outlineStyle !== "none" && parseFloat(outlineWidth) > 0, what: active.outerHTML.slice(0, 120) };
      });
      if (!here) break;
      assert.ok(here.visible, `no visible focus: ${here.what}`);
      seen.add(here.place);
    }
    assert.equal(seen.size, all);
    await close();
  }],

  ["headings, landmarks and pictures have names", async (browser) => {
    for (const path of ["/", check]) {
      const { page, close } = await opened(browser, address + path);
      assert.equal(await page.getByRole("main").count(), 1);
      assert.equal(await page.getByRole("banner").count(), 1);
      assert.equal(await page.getByRole("contentinfo").count(), 1);
      const levels = await page.evaluate(() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => Number(h.localName[1])));
      assert.equal(levels.filter((level) => level === 1).length, 1);
      levels.reduce((before, level) => { assert.ok(level <= before + 1, `${path}: h${before} then h${level}`); return level; });
      const unnamed = await page.evaluate(() => [...document.querySelectorAll("svg[role=img]")].filter((svg) => !(svg.getAttribute("aria-label") || svg.querySelector(":scope > title"))).length);
      assert.equal(unnamed, 0);
      const broken = await page.evaluate(() => {
        const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
        const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
        const lost = [...document.querySelectorAll("a[href^='#'], [aria-labelledby]")].flatMap((e) => e.hash ? [decodeURIComponent(e.hash.slice(1))] : (e.getAttribute("aria-labelledby") ?? "").split(" ")).filter((id) => id && !document.getElementById(id));
        return { twice, lost };
      });
      assert.deepEqual(broken, { twice: [], lost: [] }, path);
      await close();
    }
  }],

  ["print shows what is folded in findings and no controls", async (browser) => {
    const { page, close } = await opened(browser, address);
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator(".copy").first().isVisible(), false);
    assert.equal(await page.locator("#filter").isVisible(), false);
    assert.ok(await page.locator(".finding .hosts").first().evaluate((e) => e.getBoundingClientRect().height > 0));
    await close();
  }],

  ["a thousand checks are still one page", async (browser) => {
    await order("many");
    const { page, complaints, close } = await opened(browser, address);
    assert.equal(await page.locator(".checks > tbody").count(), 1000);
    await page.fill("#filter", "n77.");
    assert.equal(await page.locator(".checks > tbody:not([hidden])").count(), 1);
    assert.ok(await page.locator(".checks > tbody:not([hidden])").isVisible(), "its group unfolds");
    assert.deepEqual(complaints, []);
    await close();
    await order("five-faults");
  }],
]);
