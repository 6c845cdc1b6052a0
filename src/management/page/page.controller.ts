import { Controller, Get, NotFoundException, Param, Query, Req, Res, UnauthorizedException } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { validate as isUuid } from 'uuid';
import { SharedClock } from '../../process/clock.js';
import { Settings } from '../../settings/settings.js';
import { Lookups } from '../../sinks/lookup.js';
import { type PageLink, hasPassword, isGoodLink } from './key.js';
import { type Language, changePage, contentSecurityPolicy, pageTexts } from './page.js';

/** The page of a change, opened by a link from Slack or with the management token as the password. */
@ApiExcludeController()
@Controller('changes')
export class PageController {
  constructor(
    private readonly lookups: Lookups,
    private readonly settings: Settings,
    private readonly clock: SharedClock,
  ) {}

  @Get(':id')
  async show(
    @Param('id') id: string,
    @Query() query: PageLink & { lang?: string },
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<string> {
    const token = this.settings.MANAGEMENT_TOKEN!;
    response.set({
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': contentSecurityPolicy,
    });
    if (!isGoodLink(query, id, token, this.clock.now()) && !hasPassword(request.get('authorization'), token)) {
      response.set('WWW-Authenticate', 'Basic realm="channel-sync", charset="UTF-8"');
      throw new UnauthorizedException(
        'this link is invalid or has expired: press Details in Slack again, or sign in with MANAGEMENT_TOKEN as the password',
      );
    }
    const details = isUuid(id) ? await this.lookups.within({}).change(id) : null;
    if (!details) throw new NotFoundException('there is no change with this id');
    response.type('html');
    return changePage(details, languageOf(query.lang, request), this.clock.now());
  }
}

/** The language of the link, or else the one that the browser prefers. */
function languageOf(requested: string | undefined, request: Request): Language {
  const languages = Object.keys(pageTexts) as Language[];
  const preferred = request.acceptsLanguages(['en', 'zh', 'zh-CN']) || 'en';
  return languages.find(language => language === requested) ?? (preferred.startsWith('zh') ? 'zh-CN' : 'en');
}
