// The yardstick: a NestJS route on Express that parses the JSON, keeps nothing and answers as the vendor wants. No decorator syntax,
// since Node runs this file by stripping its types.
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { path } from './webhooks.ts';

class BareController {
  receive(body: { EventTime?: unknown }): object {
    return { ActionStatus: body.EventTime === undefined ? 'FAIL' : 'OK', ErrorCode: 0, ErrorInfo: '' };
  }
}
const receive = Object.getOwnPropertyDescriptor(BareController.prototype, 'receive') as PropertyDescriptor;
Post(path)(BareController.prototype, 'receive', receive);
HttpCode(200)(BareController.prototype, 'receive', receive);
Body()(BareController.prototype, 'receive', 0);
Controller()(BareController);

class BareModule {}
Module({ controllers: [BareController] })(BareModule);

const app = await NestFactory.create<NestExpressApplication>(BareModule, { logger: false });
await app.listen(0, '127.0.0.1');
process.on('disconnect', () => process.exit());
process.send?.({ port: (app.getHttpServer().address() as AddressInfo).port });
