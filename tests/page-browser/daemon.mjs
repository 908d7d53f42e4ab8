// The real daemon behind an open page: a service goes away, the page says so by itself.
import assert from "node:assert/strict";
import { accessible, narrow, opened, run } from "./browser.mjs";

const [address, id] = process.argv.slice(2);

run([
  ["an open page learns of a fault", async (browser) => {
    const { page, complaints, close } = await opened(browser, address);
    const check = await opened(browser, `${address}/checks/${encodeURIComponent(id)}`);
    await page.waitForSelector(".live.on");
    assert.match(await page.textContent("#verdict"), /1 fault blocks 1 of 2 scenarios/);
    console.error("the page is open");
    await page.waitForFunction(() => document.querySelector("#verdict").textContent.includes("block 2 of 2 scenarios") || document.querySelector("#verdict").textContent.includes("blocks 2 of 2 scenarios"));
    await check.page.waitForFunction(() => document.querySelector(".hero .badge").textContent.includes("fail"));
    await check.page.getByText("Last failures").waitFor();
    await accessible(page, "daemon");
    assert.deepEqual([...complaints, ...check.complaints], []);
    await check.close();
    await close();
  }],

  ["the form probes, and its answer is a page like the others", async (browser) => {
    const { page, complaints, close } = await opened(browser, `${address}/probe-form`);
    await accessible(page, "form");
    await page.fill("#targets", `tcp://${id.split("@")[1]}`);
    await page.getByRole("button", { name: "Probe" }).click();
    await page.waitForSelector("#verdict");
    await page.getByText("tcp_refused").first().waitFor();
    assert.ok(await page.getByRole("button", { name: /^Copy all/ }).count() > 0);
    await accessible(page, "the form's answer");
    await page.setViewportSize({ width: 360, height: 780 });
    await narrow(page, "the form's answer");
    const dead = await page.evaluate(() => [...document.querySelectorAll("main a[href^='#']")].filter((a) => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map((a) => a.outerHTML));
    assert.deepEqual(dead, []);
    assert.deepEqual(complaints, []);
    await close();
  }],
]);
